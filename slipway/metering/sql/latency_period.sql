-- One row per deployment with requests in [$start, $end): counts, and the exact quantiles of one of its rows.
-- They are those of the period only where row_count is 1; quantiles of several rows are never averaged.
SELECT
    deployment, count(*) AS row_count, sum(requests)::BIGINT AS requests,
    sum(ttft_count)::BIGINT AS ttft_count, sum(itl_count)::BIGINT AS itl_count,
    any_value(ttft_p50_ms) AS ttft_p50_ms, any_value(ttft_p90_ms) AS ttft_p90_ms,
    any_value(ttft_p95_ms) AS ttft_p95_ms, any_value(ttft_p99_ms) AS ttft_p99_ms,
    any_value(itl_p50_ms) AS itl_p50_ms, any_value(itl_p90_ms) AS itl_p90_ms,
    any_value(itl_p95_ms) AS itl_p95_ms, any_value(itl_p99_ms) AS itl_p99_ms,
    any_value(duration_p50_ms) AS duration_p50_ms, any_value(duration_p90_ms) AS duration_p90_ms,
    any_value(duration_p95_ms) AS duration_p95_ms, any_value(duration_p99_ms) AS duration_p99_ms
FROM deployment_hourly
WHERE hour >= $start AND hour < $end
GROUP BY deployment
ORDER BY deployment;
