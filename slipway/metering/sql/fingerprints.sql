-- One row per asked hour that was rolled up: the fingerprint of the objects it was made of.
SELECT hour, input_fingerprint FROM rollup_run WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]));
