-- Columns as lists: one statement for any number of rows.
INSERT INTO replica_sample
SELECT
    unnest($hour::TIMESTAMPTZ[]), unnest($sampled_at::TIMESTAMPTZ[]), unnest($interval_s::INTEGER[]),
    unnest($deployment::VARCHAR[]), unnest($gpu_class::VARCHAR[]), unnest($replicas::INTEGER[]),
    unnest($gpus::DOUBLE[]);
