"""Can the answers be trusted? Gold questions, repeats, reliability, and the audit of a store. No torch."""
