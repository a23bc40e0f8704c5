-- One row per asked hour with copies of an event that differ in what is billed.
SELECT hour, conflicts, duplicates
FROM rollup_run
WHERE conflicts > 0 AND hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
ORDER BY hour;
