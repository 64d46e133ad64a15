"""The store: event log with hash chain, projections, blobs, jobs and leases. No torch."""
