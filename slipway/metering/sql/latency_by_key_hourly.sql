-- One row per hour, org, API key and deployment: what its requests took. In: request (deduplicated).
-- The same definitions as deployment_hourly. Counts, means and maxima alone: they add up over hours, and a histogram of
-- every key would have as many rows as there are requests.
INSERT INTO latency_by_key_hourly
WITH measured AS (
    SELECT
        hour, org, api_key, deployment, duration_us,
        CASE WHEN stream THEN ttft_us END AS ttft,
        CASE WHEN stream AND status = 'success' AND output_tokens >= 2 AND duration_us >= ttft_us
            THEN round((duration_us - ttft_us) * 1000.0 / (output_tokens - 1))::BIGINT END AS itl_ns
    FROM request
    WHERE deployment <> ''
)
SELECT
    hour, org, api_key, deployment, count(*),
    count(ttft), sum(ttft)::DOUBLE / nullif(count(ttft), 0) / 1e3, max(ttft) / 1e3,
    count(itl_ns), sum(itl_ns)::DOUBLE / nullif(count(itl_ns), 0) / 1e6, max(itl_ns) / 1e6,
    sum(duration_us)::DOUBLE / count(*) / 1e3, max(duration_us) / 1e3
FROM measured
GROUP BY hour, org, api_key, deployment;
