-- One row per asked hour and metric ('ttft', 'itl') with values: quantiles of all deployments together, within 1.01%.
WITH counts AS (
    SELECT hour, metric, bucket, sum(n)::BIGINT AS n
    FROM latency_hist_hourly
    WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[])) AND metric IN ('ttft', 'itl')
    GROUP BY hour, metric, bucket
),
cumulated AS (
    SELECT
        hour, metric, bucket,
        sum(n) OVER (PARTITION BY hour, metric ORDER BY bucket) AS up_to,
        sum(n) OVER (PARTITION BY hour, metric) AS total
    FROM counts
)
SELECT
    hour, metric,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.50 * total)) - 0.5) AS p50_ms,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.95 * total)) - 0.5) AS p95_ms
FROM cumulated
GROUP BY hour, metric;
