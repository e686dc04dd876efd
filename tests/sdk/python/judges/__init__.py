"""The vendors' own SDKs as judges of what the gateway writes: their stream readers, accumulators and types."""
