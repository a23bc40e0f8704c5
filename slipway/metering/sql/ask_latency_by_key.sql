-- One row per step of time (NULL: the whole period), what $per names and what was measured ('ttft', 'itl', 'duration'), of
-- the named organisations' and keys' requests in [$start, $end). Without quantiles: see latency_by_key_hourly.
WITH summed AS (
    SELECT
        date_trunc($step, hour) AS start,
        CASE WHEN list_contains($per, 'org') THEN org END AS org,
        CASE WHEN list_contains($per, 'key') THEN api_key END AS key,
        deployment,
        sum(requests)::BIGINT AS requests,
        sum(ttft_count)::BIGINT AS ttft_count, sum(itl_count)::BIGINT AS itl_count,
        sum(ttft_mean_ms * ttft_count) / nullif(sum(ttft_count), 0) AS ttft_mean_ms, max(ttft_max_ms) AS ttft_max_ms,
        sum(itl_mean_ms * itl_count) / nullif(sum(itl_count), 0) AS itl_mean_ms, max(itl_max_ms) AS itl_max_ms,
        sum(duration_mean_ms * requests) / sum(requests) AS duration_mean_ms, max(duration_max_ms) AS duration_max_ms
    FROM latency_by_key_hourly
    WHERE hour >= $start AND hour < $end
        AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
        AND ($orgs::VARCHAR[] IS NULL OR list_contains($orgs::VARCHAR[], org))
        AND ($keys::VARCHAR[] IS NULL OR list_contains($keys::VARCHAR[], api_key))
    GROUP BY ALL
),
measured AS (
    SELECT
        start, org, key, deployment,
        unnest([
            {metric: 'ttft', "count": ttft_count, mean_ms: ttft_mean_ms, max_ms: ttft_max_ms},
            {metric: 'itl', "count": itl_count, mean_ms: itl_mean_ms, max_ms: itl_max_ms},
            {metric: 'duration', "count": requests, mean_ms: duration_mean_ms, max_ms: duration_max_ms}
        ], recursive := true)
    FROM summed
)
SELECT * FROM measured WHERE "count" > 0 ORDER BY start, org, key, deployment, list_position(['ttft', 'itl', 'duration'], metric);
