"""What a browser gets that came in by a link."""

# a page of its own, not a redirect: a browser that followed a link from elsewhere sends a strict cookie only from here
ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>plaudit</title><link rel="icon" href="/static/icon.svg"><a href="/">Open</a></html>"""
