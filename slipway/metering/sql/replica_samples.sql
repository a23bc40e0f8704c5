-- Temporary tables of one rollup of samples: one row per instant and revision, one row per hour.
CREATE OR REPLACE TEMP TABLE replica_sample (
    hour TIMESTAMPTZ, sampled_at TIMESTAMPTZ, interval_s INTEGER, deployment VARCHAR, gpu_class VARCHAR,
    replicas INTEGER, gpus DOUBLE
);

CREATE OR REPLACE TEMP TABLE sampled_hour (hour TIMESTAMPTZ, sampled_s INTEGER);
