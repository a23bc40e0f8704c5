-- One row per hour, deployment and metric in [$start, $end) of the named deployments: buckets and their counts, in order.
SELECT hour, deployment, metric, list(bucket ORDER BY bucket) AS buckets, list(n ORDER BY bucket) AS counts
FROM latency_hist_hourly
WHERE hour >= $start AND hour < $end AND metric IN ('ttft', 'itl', 'duration')
    AND list_contains($deployments::VARCHAR[], deployment)
GROUP BY hour, deployment, metric;
