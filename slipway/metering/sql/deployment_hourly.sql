-- One row per hour, deployment and model.
-- In: request (deduplicated), chunk_hour(hour, elapsed_s).
-- TTFT: streamed requests that got a first token. ITL: successful streams with at least 2 output tokens,
-- (duration - ttft) / (output_tokens - 1), in whole nanoseconds so that a mean has no order of summing.
-- Duration: every request, streamed or not, whatever its end. Queue, hold and the phases of a cold start: of requests
-- that say so, which are few: they are looked at apart.
-- One list of quantiles costs a fraction of one call for each.
INSERT INTO deployment_hourly
WITH measured AS (
    SELECT
        *,
        CASE WHEN stream THEN ttft_us END AS ttft,
        CASE WHEN stream AND status = 'success' AND output_tokens >= 2 AND duration_us >= ttft_us
            THEN round((duration_us - ttft_us) * 1000.0 / (output_tokens - 1))::BIGINT END AS itl_ns
    FROM request
),
summed AS (
    SELECT
        hour, deployment, model,
        count(*) AS requests,
        count(*) FILTER (WHERE status = 'success') AS successes,
        count(*) FILTER (WHERE status = 'client_error') AS client_errors,
        count(*) FILTER (WHERE status = 'server_error') AS server_errors,
        count(*) FILTER (WHERE status = 'limited') AS limited,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE cold_start) AS cold_starts,
        sum(input_tokens)::BIGINT AS input_tokens,
        sum(cached_tokens)::BIGINT AS cached_tokens,
        sum(output_tokens)::BIGINT AS output_tokens,
        sum(input_audio_ms)::BIGINT AS input_audio_ms,
        sum(output_audio_ms)::BIGINT AS output_audio_ms,
        sum(characters)::BIGINT AS characters,
        sum(documents)::BIGINT AS documents,
        sum(searches)::BIGINT AS searches,
        count(ttft) AS ttft_count,
        sum(ttft)::DOUBLE / nullif(count(ttft), 0) / 1e3 AS ttft_mean_ms,
        quantile_cont(ttft, [0.5, 0.9, 0.95, 0.99, 1]) AS ttft_us,
        count(itl_ns) AS itl_count,
        sum(itl_ns)::DOUBLE / nullif(count(itl_ns), 0) / 1e6 AS itl_mean_ms,
        quantile_cont(itl_ns, [0.5, 0.9, 0.95, 0.99, 1]) AS itl_ns,
        sum(duration_us)::DOUBLE / count(*) / 1e3 AS duration_mean_ms,
        quantile_cont(duration_us, [0.5, 0.9, 0.95, 0.99, 1]) AS duration_us
    FROM measured
    GROUP BY hour, deployment, model
),
waited AS (
    SELECT
        hour, deployment, model,
        count(queue_us) AS queue_count, sum(queue_us)::DOUBLE / nullif(count(queue_us), 0) / 1e3 AS queue_mean_ms,
        quantile_cont(queue_us, [0.5, 0.9, 0.95, 0.99, 1]) AS queue_us,
        count(hold_us) AS hold_count, sum(hold_us)::DOUBLE / nullif(count(hold_us), 0) / 1e3 AS hold_mean_ms,
        quantile_cont(hold_us, [0.5, 0.9, 0.95, 0.99, 1]) AS hold_us,
        count(coalesce(cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us)) AS cold_measured,
        sum(cold_detect_us)::DOUBLE / nullif(count(cold_detect_us), 0) / 1e3 AS cold_detect_mean_ms, quantile_cont(cold_detect_us, [0.5, 0.95, 1]) AS cold_detect_us,
        sum(cold_schedule_us)::DOUBLE / nullif(count(cold_schedule_us), 0) / 1e3 AS cold_schedule_mean_ms, quantile_cont(cold_schedule_us, [0.5, 0.95, 1]) AS cold_schedule_us,
        sum(cold_pull_us)::DOUBLE / nullif(count(cold_pull_us), 0) / 1e3 AS cold_pull_mean_ms, quantile_cont(cold_pull_us, [0.5, 0.95, 1]) AS cold_pull_us,
        sum(cold_load_us)::DOUBLE / nullif(count(cold_load_us), 0) / 1e3 AS cold_load_mean_ms, quantile_cont(cold_load_us, [0.5, 0.95, 1]) AS cold_load_us,
        sum(cold_init_us)::DOUBLE / nullif(count(cold_init_us), 0) / 1e3 AS cold_init_mean_ms, quantile_cont(cold_init_us, [0.5, 0.95, 1]) AS cold_init_us,
        sum(cold_first_token_us)::DOUBLE / nullif(count(cold_first_token_us), 0) / 1e3 AS cold_first_token_mean_ms, quantile_cont(cold_first_token_us, [0.5, 0.95, 1]) AS cold_first_token_us
    FROM request
    WHERE coalesce(queue_us, hold_us, cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us) IS NOT NULL
    GROUP BY hour, deployment, model
)
SELECT
    hour, deployment, model,
    requests, successes, client_errors, server_errors, limited, cancelled, cold_starts,
    input_tokens, cached_tokens, output_tokens,
    ttft_count, ttft_mean_ms, ttft_us[1] / 1e3, ttft_us[2] / 1e3, ttft_us[3] / 1e3, ttft_us[4] / 1e3,
    itl_count, itl_mean_ms, itl_ns[1] / 1e6, itl_ns[2] / 1e6, itl_ns[3] / 1e6, itl_ns[4] / 1e6,
    requests / elapsed_s, output_tokens / elapsed_s,
    $run_id,
    duration_mean_ms, duration_us[1] / 1e3, duration_us[2] / 1e3, duration_us[3] / 1e3, duration_us[4] / 1e3,
    input_audio_ms, output_audio_ms, characters, documents, searches,
    ttft_us[5] / 1e3, itl_ns[5] / 1e6, duration_us[5] / 1e3,
    client_errors / requests, server_errors / requests, limited / requests,
    coalesce(queue_count, 0), queue_mean_ms, queue_us[1] / 1e3, queue_us[2] / 1e3, queue_us[3] / 1e3, queue_us[4] / 1e3, queue_us[5] / 1e3,
    coalesce(hold_count, 0), hold_mean_ms, hold_us[1] / 1e3, hold_us[2] / 1e3, hold_us[3] / 1e3, hold_us[4] / 1e3, hold_us[5] / 1e3,
    coalesce(cold_measured, 0),
    cold_detect_mean_ms, cold_detect_us[1] / 1e3, cold_detect_us[2] / 1e3, cold_detect_us[3] / 1e3,
    cold_schedule_mean_ms, cold_schedule_us[1] / 1e3, cold_schedule_us[2] / 1e3, cold_schedule_us[3] / 1e3,
    cold_pull_mean_ms, cold_pull_us[1] / 1e3, cold_pull_us[2] / 1e3, cold_pull_us[3] / 1e3,
    cold_load_mean_ms, cold_load_us[1] / 1e3, cold_load_us[2] / 1e3, cold_load_us[3] / 1e3,
    cold_init_mean_ms, cold_init_us[1] / 1e3, cold_init_us[2] / 1e3, cold_init_us[3] / 1e3,
    cold_first_token_mean_ms, cold_first_token_us[1] / 1e3, cold_first_token_us[2] / 1e3, cold_first_token_us[3] / 1e3
FROM summed
JOIN chunk_hour USING (hour)
LEFT JOIN waited USING (hour, deployment, model);
