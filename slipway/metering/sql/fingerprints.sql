-- One row per hour that was rolled up: the objects it was made of, and whether it was over by then.
SELECT hour, input_fingerprint, objects, final FROM rollup_run ORDER BY hour;
