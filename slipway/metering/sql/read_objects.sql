-- One row per line of a file of usage objects' lines, all of one hour. Every line counts, or the statement fails.
-- In: the file $path, $hour. This is the quick way, for lines as gateways write them: whatever is a little odd
-- is left to read_lines.sql, which takes it line by line and says what is wrong with which.
-- Counts and flags are read as JSON, which keeps what they are: as BIGINT, true would be 1 and 10.6 would be 11.
-- As VARCHAR they are their text: a cast from there costs less than one from JSON.
-- Texts are read as VARCHAR, which is quicker; what may have been a number, a flag or a structure is odd.
INSERT INTO request
WITH parsed AS (
    SELECT
        request_id, ts, org, "user", api_key, deployment, model, status, counted_by, task,
        stream::VARCHAR AS stream, cold_start::VARCHAR AS cold_start,
        input_tokens::VARCHAR AS input_tokens, cached_tokens::VARCHAR AS cached_tokens,
        output_tokens::VARCHAR AS output_tokens, ttft_us::VARCHAR AS ttft_us, duration_us::VARCHAR AS duration_us,
        input_audio_ms::VARCHAR AS input_audio_ms, output_audio_ms::VARCHAR AS output_audio_ms,
        characters::VARCHAR AS characters, documents::VARCHAR AS documents, searches::VARCHAR AS searches,
        queue_us::VARCHAR AS queue_us, hold_us::VARCHAR AS hold_us, cold_detect_us::VARCHAR AS cold_detect_us,
        cold_schedule_us::VARCHAR AS cold_schedule_us, cold_pull_us::VARCHAR AS cold_pull_us, cold_load_us::VARCHAR AS cold_load_us,
        cold_init_us::VARCHAR AS cold_init_us, cold_first_token_us::VARCHAR AS cold_first_token_us
    FROM read_json($path, format = 'newline_delimited', columns = {
        request_id: 'VARCHAR', ts: 'VARCHAR', org: 'VARCHAR', "user": 'VARCHAR', api_key: 'VARCHAR',
        deployment: 'VARCHAR', model: 'VARCHAR', status: 'VARCHAR', counted_by: 'VARCHAR', stream: 'JSON',
        cold_start: 'JSON', input_tokens: 'JSON', cached_tokens: 'JSON', output_tokens: 'JSON', ttft_us: 'JSON',
        duration_us: 'JSON', input_audio_ms: 'JSON', output_audio_ms: 'JSON', characters: 'JSON', documents: 'JSON',
        searches: 'JSON', task: 'VARCHAR',
        queue_us: 'JSON', hold_us: 'JSON', cold_detect_us: 'JSON', cold_schedule_us: 'JSON',
        cold_pull_us: 'JSON', cold_load_us: 'JSON', cold_init_us: 'JSON', cold_first_token_us: 'JSON'
    })
),
typed AS (
    SELECT
        *,
        try_cast(request_id AS UUID) AS id,
        try_cast(input_tokens AS BIGINT) AS n_input, try_cast(cached_tokens AS BIGINT) AS n_cached,
        try_cast(output_tokens AS BIGINT) AS n_output, try_cast(ttft_us AS BIGINT) AS n_ttft_us,
        try_cast(duration_us AS BIGINT) AS n_duration_us,
        try_cast(input_audio_ms AS BIGINT) AS n_input_audio_ms,
        try_cast(output_audio_ms AS BIGINT) AS n_output_audio_ms, try_cast(characters AS BIGINT) AS n_characters,
        try_cast(documents AS BIGINT) AS n_documents, try_cast(searches AS BIGINT) AS n_searches,
        try_cast(queue_us AS BIGINT) AS n_queue_us, try_cast(hold_us AS BIGINT) AS n_hold_us,
        try_cast(cold_detect_us AS BIGINT) AS n_cold_detect_us, try_cast(cold_schedule_us AS BIGINT) AS n_cold_schedule_us,
        try_cast(cold_pull_us AS BIGINT) AS n_cold_pull_us, try_cast(cold_load_us AS BIGINT) AS n_cold_load_us,
        try_cast(cold_init_us AS BIGINT) AS n_cold_init_us, try_cast(cold_first_token_us AS BIGINT) AS n_cold_first_token_us
    FROM parsed
),
timed AS (SELECT *, try(uuid_extract_timestamp(id)) AS arrived_at FROM typed)
SELECT
    CASE
        WHEN arrived_at >= $hour::TIMESTAMPTZ AND arrived_at < $hour::TIMESTAMPTZ + INTERVAL 1 HOUR
            AND (ends_with(ts, 'Z') OR ends_with(ts, '+00:00')) AND try_cast(ts AS TIMESTAMP) IS NOT NULL
            AND status IN ('success', 'client_error', 'server_error', 'limited', 'cancelled')
            AND is_count(input_tokens, n_input, most_tokens()) AND is_count(output_tokens, n_output, most_tokens())
            AND is_count(cached_tokens, n_cached, n_input) AND is_count(duration_us, n_duration_us, most_us())
            AND (ttft_us IS NULL OR is_count(ttft_us, n_ttft_us, most_us()))
            AND (
                coalesce(input_audio_ms, output_audio_ms, characters, documents, searches) IS NULL
                OR (
                    is_units(input_audio_ms, n_input_audio_ms) AND is_units(output_audio_ms, n_output_audio_ms)
                    AND is_units(characters, n_characters) AND is_units(documents, n_documents)
                    AND is_units(searches, n_searches)
                )
            )
            AND (
                coalesce(queue_us, hold_us, cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us) IS NULL
                OR (
                    is_time(queue_us, n_queue_us) AND is_time(hold_us, n_hold_us)
                    AND is_time(cold_detect_us, n_cold_detect_us) AND is_time(cold_schedule_us, n_cold_schedule_us)
                    AND is_time(cold_pull_us, n_cold_pull_us) AND is_time(cold_load_us, n_cold_load_us)
                    AND is_time(cold_init_us, n_cold_init_us) AND is_time(cold_first_token_us, n_cold_first_token_us)
                )
            )
            AND stream IN ('true', 'false') AND cold_start IN ('true', 'false')
            AND is_plain(org) AND is_plain("user") AND is_plain(api_key) AND is_plain(deployment) AND is_plain(model)
            THEN $hour::TIMESTAMPTZ
        ELSE error('a line that must be looked at by itself')
    END,
    arrived_at, id, org, "user", api_key, deployment,
    -- A model that no deployment serves is any text of a tenant's: all of them are one.
    CASE WHEN deployment = '' THEN '' ELSE model END,
    status, stream = 'true', cold_start = 'true', counted_by,
    n_input, n_cached, n_output, n_ttft_us, n_duration_us,
    coalesce(n_input_audio_ms, 0), coalesce(n_output_audio_ms, 0), coalesce(n_characters, 0),
    coalesce(n_documents, 0), coalesce(n_searches, 0), known_task(task),
    n_queue_us, n_hold_us, n_cold_detect_us, n_cold_schedule_us,
    n_cold_pull_us, n_cold_load_us, n_cold_init_us, n_cold_first_token_us
FROM timed;
