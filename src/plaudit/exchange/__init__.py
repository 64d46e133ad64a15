"""Exchange: published formats of human feedback to records of a store, and back with a manifest. No torch.

`rows` and `columnar` read containers (JSON, JSON lines, CSV, Parquet, Hugging Face datasets on disk) row by row, `formats` names
the readers that turn a row into records, `bring` puts them into a store, `export` writes them out again.
"""
