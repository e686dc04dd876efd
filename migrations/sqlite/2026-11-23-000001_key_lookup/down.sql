-- Nothing: these tables hold keys.
SELECT 1;
