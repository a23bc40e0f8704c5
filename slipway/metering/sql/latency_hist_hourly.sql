-- One row per hour, deployment, metric and bucket: ceil(ln(x) / ln(1.0202)) of x in milliseconds.
-- In: request (deduplicated). The same definitions as deployment_hourly. A microsecond is the gateway's
-- resolution, so that nothing is smaller than 0.001 ms.
INSERT INTO latency_hist_hourly
WITH observed AS (
    SELECT hour, deployment, 'ttft' AS metric, ttft_us / 1e3 AS x_ms
    FROM request
    WHERE stream AND ttft_us IS NOT NULL
    UNION ALL
    SELECT hour, deployment, 'itl', (duration_us - ttft_us) / 1e3 / (output_tokens - 1)
    FROM request
    WHERE stream AND status = 'success' AND output_tokens >= 2 AND duration_us >= ttft_us
    UNION ALL
    SELECT hour, deployment, 'duration', duration_us / 1e3
    FROM request
    UNION ALL
    SELECT hour, deployment, metric, waited_us / 1e3
    FROM (
        SELECT
            hour, deployment,
            unnest(['queue', 'hold', 'cold_detect', 'cold_schedule', 'cold_pull', 'cold_load', 'cold_init', 'cold_first_token']) AS metric,
            unnest([queue_us, hold_us, cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us]) AS waited_us
        FROM request
        WHERE coalesce(queue_us, hold_us, cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us) IS NOT NULL
    )
    WHERE waited_us IS NOT NULL
)
SELECT hour, deployment, metric, ceil(ln(greatest(x_ms, 0.001)) / ln(1.0202))::SMALLINT AS bucket, count(*)
FROM observed
GROUP BY hour, deployment, metric, bucket;
