"""The local review page: what changed, shown beside its baseline, and what people decide about it."""
