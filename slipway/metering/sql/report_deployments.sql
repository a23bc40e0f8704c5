-- One row per deployment with requests in [$start, $end), the busiest first: requests, and rows of its histograms.
WITH counts AS (
    SELECT deployment, count(*) AS buckets
    FROM latency_hist_hourly
    WHERE hour >= $start AND hour < $end AND metric IN ('ttft', 'itl', 'duration')
    GROUP BY deployment
)
SELECT deployment, sum(requests)::BIGINT AS requests, coalesce(any_value(buckets), 0) AS buckets
FROM deployment_hourly
LEFT JOIN counts USING (deployment)
WHERE hour >= $start AND hour < $end AND deployment <> ''
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
GROUP BY deployment
ORDER BY requests DESC, deployment;
