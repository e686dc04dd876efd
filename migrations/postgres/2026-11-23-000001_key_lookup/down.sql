-- Nothing: these tables hold keys, and may be PostHog's own.
SELECT 1;
