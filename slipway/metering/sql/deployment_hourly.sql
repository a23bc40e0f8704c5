-- One row per hour, deployment and model.
-- In: request (deduplicated), chunk_hour(hour, elapsed_s).
-- TTFT: streamed requests that got a first token. ITL: successful streams with at least 2 output tokens,
-- (duration - ttft) / (output_tokens - 1), in whole nanoseconds so that a mean has no order of summing.
-- Duration: every request, streamed or not, whatever its end.
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
        quantile_cont(ttft, [0.5, 0.9, 0.95, 0.99]) AS ttft_us,
        count(itl_ns) AS itl_count,
        sum(itl_ns)::DOUBLE / nullif(count(itl_ns), 0) / 1e6 AS itl_mean_ms,
        quantile_cont(itl_ns, [0.5, 0.9, 0.95, 0.99]) AS itl_ns,
        sum(duration_us)::DOUBLE / count(*) / 1e3 AS duration_mean_ms,
        quantile_cont(duration_us, [0.5, 0.9, 0.95, 0.99]) AS duration_us
    FROM measured
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
    input_audio_ms, output_audio_ms, characters, documents, searches
FROM summed
JOIN chunk_hour USING (hour);
