-- Latency beside what schema.sql has: further columns of deployment_hourly, and histograms of days and months.

-- Largest values, and shares of all requests of the row (0 to 1) that ended so.
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS ttft_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS itl_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS client_error_share DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS server_error_share DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS limited_share DOUBLE;

-- Of requests that say so: how long they waited in the gateway's queue (queue), and for a sleeping or absent replica
-- (hold). Counts are 0 and the rest NULL where none said.
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_count BIGINT;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_p90_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_p99_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS queue_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_count BIGINT;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_p90_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_p99_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS hold_max_ms DOUBLE;

-- Of requests that woke a replica and say how long each phase took. cold_measured: how many did.
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_measured BIGINT;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_detect_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_detect_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_detect_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_detect_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_schedule_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_schedule_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_schedule_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_schedule_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_pull_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_pull_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_pull_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_pull_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_load_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_load_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_load_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_load_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_init_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_init_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_init_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_init_max_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_first_token_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_first_token_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_first_token_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS cold_first_token_max_ms DOUBLE;

-- The counts of latency_hist_hourly, summed by day and by month (UTC): a period is merged from the largest of its parts.
CREATE TABLE IF NOT EXISTS latency_hist_daily (
    day TIMESTAMPTZ, deployment VARCHAR, metric VARCHAR, bucket SMALLINT, n BIGINT
);
CREATE TABLE IF NOT EXISTS latency_hist_monthly (
    month TIMESTAMPTZ, deployment VARCHAR, metric VARCHAR, bucket SMALLINT, n BIGINT
);

-- One row per hour, org, API key and deployment; hours that a version before it rolled up have none.
CREATE TABLE IF NOT EXISTS latency_by_key_hourly (
    hour TIMESTAMPTZ, org VARCHAR, api_key VARCHAR, deployment VARCHAR, requests BIGINT,
    ttft_count BIGINT, ttft_mean_ms DOUBLE, ttft_max_ms DOUBLE,
    itl_count BIGINT, itl_mean_ms DOUBLE, itl_max_ms DOUBLE,
    duration_mean_ms DOUBLE, duration_max_ms DOUBLE
);

-- A warehouse of a version without them has hours already.
INSERT INTO latency_hist_daily
SELECT date_trunc('day', hour), deployment, metric, bucket, sum(n)::BIGINT
FROM latency_hist_hourly
WHERE NOT EXISTS (FROM latency_hist_daily)
GROUP BY ALL;
INSERT INTO latency_hist_monthly
SELECT date_trunc('month', day), deployment, metric, bucket, sum(n)::BIGINT
FROM latency_hist_daily
WHERE NOT EXISTS (FROM latency_hist_monthly)
GROUP BY ALL;
