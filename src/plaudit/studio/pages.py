"""The two pages that need no session."""

# a page of its own, not a redirect: a browser that followed a link from elsewhere sends a strict cookie only from here
ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>plaudit</title><link rel="icon" href="/static/icon.svg"><a href="/">Open</a></html>"""
CLOSED = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>plaudit</title><link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/studio.css">
<header><span class="brand"><img src="/static/icon.svg" alt="" width="22" height="22">plaudit</span></header>
<main><section id="message"><h1>This link has been used, or your session is over</h1>
<p id="message-text">Open the link that the terminal shows now, or ask for a new one. Each link lets one browser in, once.</p>
</section></main><footer></footer></html>"""
