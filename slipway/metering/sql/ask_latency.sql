-- One row per step of time (NULL: the whole period), deployment and what was measured ('ttft', 'itl', 'duration', 'queue',
-- 'hold', 'cold_*'), of requests in [$start, $end). is_exact: quantiles are those of one row of deployment_hourly; all
-- others are merged from histograms, and off by 1.01% at most. Counts, means and maxima are exact.
-- A period is merged from its whole months, then days, then hours (periods.Parts): what is between them is not read.
WITH hours AS (
    SELECT date_trunc($step, hour) AS start, *
    FROM deployment_hourly
    WHERE hour >= $start AND hour < $end AND deployment <> ''
        AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
),
looked_at AS (
    SELECT
        date_trunc($step, hour) AS start,
        sum(CASE WHEN final THEN 3600 ELSE least(3600, greatest(1, epoch(rolled_up_at - hour))) END) AS seconds
    FROM rollup_run
    WHERE hour >= $start AND hour < $end
    GROUP BY ALL
),
summed AS (
    SELECT
        start, deployment, count(*) AS row_count, sum(requests)::BIGINT AS requests, sum(output_tokens)::BIGINT AS tokens,
        sum(client_errors) / sum(requests) AS client_error_share, sum(server_errors) / sum(requests) AS server_error_share,
        sum(limited) / sum(requests) AS limited_share, sum(cold_starts)::BIGINT AS cold_starts,
        sum(cold_measured)::BIGINT AS cold_measured,
        sum(ttft_mean_ms * ttft_count) / nullif(sum(ttft_count), 0) AS ttft_mean_ms, max(ttft_max_ms) AS ttft_max_ms,
        sum(ttft_count)::BIGINT AS ttft_count,
        any_value(ttft_p50_ms) AS ttft_p50_ms, any_value(ttft_p90_ms) AS ttft_p90_ms, any_value(ttft_p95_ms) AS ttft_p95_ms, any_value(ttft_p99_ms) AS ttft_p99_ms,
        sum(itl_mean_ms * itl_count) / nullif(sum(itl_count), 0) AS itl_mean_ms, max(itl_max_ms) AS itl_max_ms,
        sum(itl_count)::BIGINT AS itl_count,
        any_value(itl_p50_ms) AS itl_p50_ms, any_value(itl_p90_ms) AS itl_p90_ms, any_value(itl_p95_ms) AS itl_p95_ms, any_value(itl_p99_ms) AS itl_p99_ms,
        sum(duration_mean_ms * requests) / nullif(sum(requests), 0) AS duration_mean_ms, max(duration_max_ms) AS duration_max_ms,
        any_value(duration_p50_ms) AS duration_p50_ms, any_value(duration_p90_ms) AS duration_p90_ms, any_value(duration_p95_ms) AS duration_p95_ms, any_value(duration_p99_ms) AS duration_p99_ms,
        sum(queue_mean_ms * queue_count) / nullif(sum(queue_count), 0) AS queue_mean_ms, max(queue_max_ms) AS queue_max_ms,
        sum(queue_count)::BIGINT AS queue_count,
        any_value(queue_p50_ms) AS queue_p50_ms, any_value(queue_p90_ms) AS queue_p90_ms, any_value(queue_p95_ms) AS queue_p95_ms, any_value(queue_p99_ms) AS queue_p99_ms,
        sum(hold_mean_ms * hold_count) / nullif(sum(hold_count), 0) AS hold_mean_ms, max(hold_max_ms) AS hold_max_ms,
        sum(hold_count)::BIGINT AS hold_count,
        any_value(hold_p50_ms) AS hold_p50_ms, any_value(hold_p90_ms) AS hold_p90_ms, any_value(hold_p95_ms) AS hold_p95_ms, any_value(hold_p99_ms) AS hold_p99_ms,
        sum(cold_detect_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_detect_mean_ms, max(cold_detect_max_ms) AS cold_detect_max_ms,
        sum(cold_schedule_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_schedule_mean_ms, max(cold_schedule_max_ms) AS cold_schedule_max_ms,
        sum(cold_pull_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_pull_mean_ms, max(cold_pull_max_ms) AS cold_pull_max_ms,
        sum(cold_load_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_load_mean_ms, max(cold_load_max_ms) AS cold_load_max_ms,
        sum(cold_init_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_init_mean_ms, max(cold_init_max_ms) AS cold_init_max_ms,
        sum(cold_first_token_mean_ms * cold_measured) / nullif(sum(cold_measured), 0) AS cold_first_token_mean_ms, max(cold_first_token_max_ms) AS cold_first_token_max_ms
    FROM hours
    GROUP BY ALL
),
measured AS (
    SELECT
        summed.* EXCLUDE (row_count), unnest([
            {metric: 'ttft', n: ttft_count, mean_ms: ttft_mean_ms, max_ms: ttft_max_ms, exact: row_count = 1,
             p50_ms: ttft_p50_ms, p90_ms: ttft_p90_ms, p95_ms: ttft_p95_ms, p99_ms: ttft_p99_ms},
            {metric: 'itl', n: itl_count, mean_ms: itl_mean_ms, max_ms: itl_max_ms, exact: row_count = 1,
             p50_ms: itl_p50_ms, p90_ms: itl_p90_ms, p95_ms: itl_p95_ms, p99_ms: itl_p99_ms},
            {metric: 'duration', n: requests, mean_ms: duration_mean_ms, max_ms: duration_max_ms, exact: row_count = 1,
             p50_ms: duration_p50_ms, p90_ms: duration_p90_ms, p95_ms: duration_p95_ms, p99_ms: duration_p99_ms},
            {metric: 'queue', n: queue_count, mean_ms: queue_mean_ms, max_ms: queue_max_ms, exact: row_count = 1,
             p50_ms: queue_p50_ms, p90_ms: queue_p90_ms, p95_ms: queue_p95_ms, p99_ms: queue_p99_ms},
            {metric: 'hold', n: hold_count, mean_ms: hold_mean_ms, max_ms: hold_max_ms, exact: row_count = 1,
             p50_ms: hold_p50_ms, p90_ms: hold_p90_ms, p95_ms: hold_p95_ms, p99_ms: hold_p99_ms},
            {metric: 'cold_detect', n: cold_measured, mean_ms: cold_detect_mean_ms, max_ms: cold_detect_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE},
            {metric: 'cold_schedule', n: cold_measured, mean_ms: cold_schedule_mean_ms, max_ms: cold_schedule_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE},
            {metric: 'cold_pull', n: cold_measured, mean_ms: cold_pull_mean_ms, max_ms: cold_pull_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE},
            {metric: 'cold_load', n: cold_measured, mean_ms: cold_load_mean_ms, max_ms: cold_load_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE},
            {metric: 'cold_init', n: cold_measured, mean_ms: cold_init_mean_ms, max_ms: cold_init_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE},
            {metric: 'cold_first_token', n: cold_measured, mean_ms: cold_first_token_mean_ms, max_ms: cold_first_token_max_ms, exact: false,
             p50_ms: NULL::DOUBLE, p90_ms: NULL::DOUBLE, p95_ms: NULL::DOUBLE, p99_ms: NULL::DOUBLE}
        ], recursive := true)
    FROM summed
),
counts AS (
    SELECT month AS instant, deployment, metric, bucket, n
    FROM latency_hist_monthly WHERE month >= $first_month AND month < $end_of_months
    UNION ALL
    SELECT day, deployment, metric, bucket, n
    FROM latency_hist_daily WHERE day >= $first_day AND day < $first_month
    UNION ALL
    SELECT day, deployment, metric, bucket, n
    FROM latency_hist_daily WHERE day >= $end_of_months AND day < $end_of_days
    UNION ALL
    SELECT hour, deployment, metric, bucket, n
    FROM latency_hist_hourly WHERE hour >= $start AND hour < $first_day
    UNION ALL
    SELECT hour, deployment, metric, bucket, n
    FROM latency_hist_hourly WHERE hour >= $end_of_days AND hour < $end
),
merged AS (
    SELECT date_trunc($step, instant) AS start, deployment, metric, bucket, sum(n)::BIGINT AS n
    FROM counts
    WHERE deployment <> ''
        AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
    GROUP BY ALL
),
cumulated AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY start, deployment, metric ORDER BY bucket) AS up_to,
        sum(n) OVER (PARTITION BY start, deployment, metric) AS total
    FROM merged
),
quantiles AS (
    SELECT
        start, deployment, metric,
        pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.50 * total)) - 0.5) AS p50,
        pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.90 * total)) - 0.5) AS p90,
        pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.95 * total)) - 0.5) AS p95,
        pow(1.0202, min(bucket) FILTER (WHERE up_to >= ceil(0.99 * total)) - 0.5) AS p99
    FROM cumulated
    GROUP BY ALL
)
SELECT
    measured.start, measured.deployment, measured.metric, n AS "count", mean_ms,
    CASE WHEN exact THEN p50_ms ELSE p50 END AS p50_ms, CASE WHEN exact THEN p90_ms ELSE p90 END AS p90_ms,
    CASE WHEN exact THEN p95_ms ELSE p95 END AS p95_ms, CASE WHEN exact THEN p99_ms ELSE p99 END AS p99_ms,
    max_ms, exact AS is_exact, requests, cold_starts,
    requests / seconds AS requests_per_s, tokens / seconds AS output_tokens_per_s,
    client_error_share, server_error_share, limited_share
FROM measured
LEFT JOIN looked_at ON looked_at.start IS NOT DISTINCT FROM measured.start
LEFT JOIN quantiles
    ON quantiles.start IS NOT DISTINCT FROM measured.start AND quantiles.deployment = measured.deployment
    AND quantiles.metric = measured.metric
WHERE n > 0
ORDER BY measured.start, measured.deployment, list_position(
    ['ttft', 'itl', 'duration', 'queue', 'hold', 'cold_detect', 'cold_schedule', 'cold_pull', 'cold_load', 'cold_init',
     'cold_first_token'], measured.metric
);
