-- One row per deployment and metric: quantiles over [$start, $end) from the merged histograms.
-- The q-quantile lies in the first bucket up to which ceil(q * n) values lie; its middle is the answer.
WITH merged AS (
    SELECT deployment, metric, bucket, sum(n)::BIGINT AS n
    FROM latency_hist_hourly
    WHERE hour >= $start AND hour < $end
    GROUP BY deployment, metric, bucket
),
cumulated AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY deployment, metric ORDER BY bucket) AS up_to,
        sum(n) OVER (PARTITION BY deployment, metric) AS total
    FROM merged
)
SELECT
    deployment, metric,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.50 * total)) - 0.5) AS p50_ms,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.90 * total)) - 0.5) AS p90_ms,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.95 * total)) - 0.5) AS p95_ms,
    pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.99 * total)) - 0.5) AS p99_ms
FROM cumulated
GROUP BY deployment, metric
ORDER BY deployment, metric;
