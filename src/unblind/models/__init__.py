"""Model families: loading, adapters, batches."""
