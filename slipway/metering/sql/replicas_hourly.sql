-- One row per hour, deployment and GPU class.
-- In: replica_sample (each instant once; a deployment has a row per revision), sampled_hour.
-- An instant stands for interval_s. What was not sampled is not made up: sampled_s says how much was.
INSERT INTO replicas_hourly
WITH at_once AS (
    SELECT
        hour, sampled_at, interval_s, deployment, gpu_class,
        sum(replicas)::BIGINT AS replicas, sum(gpus)::DECIMAL(18, 3) AS gpus
    FROM replica_sample
    GROUP BY hour, sampled_at, interval_s, deployment, gpu_class
)
SELECT
    hour, deployment, gpu_class,
    sum(replicas * interval_s)::BIGINT AS replica_seconds,
    sum(gpus * interval_s)::DECIMAL(18, 3) AS gpu_seconds,
    max(replicas) AS peak_replicas,
    any_value(sampled_s) AS sampled_s
FROM at_once
JOIN sampled_hour USING (hour)
GROUP BY hour, deployment, gpu_class;
