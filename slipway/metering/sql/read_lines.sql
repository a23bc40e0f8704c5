-- One row per line of a batch of usage objects: its object, the columns of `request`, and what is wrong with it (NULL:
-- it counts). take_lines.sql and compaction take it from here.
-- In: batch(object_number, line_number, line), usage_object.
-- from_json and not read_json: lines come with the object's name and number, and one bad line spoils no other.
-- Values are read as JSON, which keeps what they are (see read_objects.sql).
CREATE OR REPLACE TEMP TABLE judged AS
WITH parsed AS (
    SELECT
        object_number, line_number, line,
        try(from_json(line, '{
            "request_id": "VARCHAR", "ts": "VARCHAR", "org": "JSON", "user": "JSON", "api_key": "JSON",
            "deployment": "JSON", "model": "JSON", "status": "VARCHAR", "counted_by": "VARCHAR", "stream": "JSON",
            "cold_start": "JSON", "input_tokens": "JSON", "cached_tokens": "JSON", "output_tokens": "JSON",
            "ttft_us": "JSON", "duration_us": "JSON", "input_audio_ms": "JSON", "output_audio_ms": "JSON",
            "characters": "JSON", "documents": "JSON", "searches": "JSON", "task": "VARCHAR",
            "queue_us": "JSON", "hold_us": "JSON", "cold_detect_us": "JSON", "cold_schedule_us": "JSON",
            "cold_pull_us": "JSON", "cold_load_us": "JSON", "cold_init_us": "JSON", "cold_first_token_us": "JSON"
        }')) AS e
    FROM batch
),
typed AS (
    SELECT
        object_number, line_number, line, e IS NULL AS not_json, e.request_id AS request_id,
        try_cast(e.request_id AS UUID) AS id, try(uuid_extract_timestamp(try_cast(e.request_id AS UUID))) AS arrived_at,
        e.ts AS ts, e.org::VARCHAR AS org, e."user"::VARCHAR AS "user", e.api_key::VARCHAR AS api_key,
        e.deployment::VARCHAR AS deployment, e.model::VARCHAR AS model, e.status AS status,
        e.counted_by AS counted_by, e.stream::VARCHAR AS stream, e.cold_start::VARCHAR AS cold_start,
        e.input_tokens::VARCHAR AS input_tokens, e.cached_tokens::VARCHAR AS cached_tokens,
        e.output_tokens::VARCHAR AS output_tokens, e.ttft_us::VARCHAR AS ttft_us,
        e.duration_us::VARCHAR AS duration_us, e.input_audio_ms::VARCHAR AS input_audio_ms,
        e.output_audio_ms::VARCHAR AS output_audio_ms, e.characters::VARCHAR AS characters,
        e.documents::VARCHAR AS documents, e.searches::VARCHAR AS searches,
        e.task AS task,
        e.queue_us::VARCHAR AS queue_us, e.hold_us::VARCHAR AS hold_us, e.cold_detect_us::VARCHAR AS cold_detect_us,
        e.cold_schedule_us::VARCHAR AS cold_schedule_us, e.cold_pull_us::VARCHAR AS cold_pull_us, e.cold_load_us::VARCHAR AS cold_load_us,
        e.cold_init_us::VARCHAR AS cold_init_us, e.cold_first_token_us::VARCHAR AS cold_first_token_us
    FROM parsed
)
SELECT
    usage_object.hour, arrived_at, id AS request_id, org ->> '$' AS org, "user" ->> '$' AS "user",
    api_key ->> '$' AS api_key, deployment ->> '$' AS deployment,
    CASE WHEN deployment = '""' THEN '' ELSE model ->> '$' END AS model,
    status, stream = 'true' AS stream, cold_start = 'true' AS cold_start, counted_by,
    as_count(input_tokens) AS input_tokens, as_count(cached_tokens) AS cached_tokens,
    as_count(output_tokens) AS output_tokens, as_count(ttft_us) AS ttft_us, as_count(duration_us) AS duration_us,
    as_units(input_audio_ms) AS input_audio_ms, as_units(output_audio_ms) AS output_audio_ms,
    as_units(characters) AS characters, as_units(documents) AS documents, as_units(searches) AS searches,
    known_task(task) AS task,
    as_count(queue_us) AS queue_us, as_count(hold_us) AS hold_us,
    as_count(cold_detect_us) AS cold_detect_us, as_count(cold_schedule_us) AS cold_schedule_us,
    as_count(cold_pull_us) AS cold_pull_us, as_count(cold_load_us) AS cold_load_us,
    as_count(cold_init_us) AS cold_init_us, as_count(cold_first_token_us) AS cold_first_token_us,
    usage_object.key AS object, line_number, line,
    coalesce(
        CASE WHEN not_json THEN 'not a line of JSON (half a line?)' END,
        identity_problem(usage_object.hour, typed.request_id, arrived_at, ts, typed.status),
        text_problem('org', typed.org), text_problem('user', typed."user"), text_problem('api_key', typed.api_key),
        text_problem('deployment', typed.deployment), text_problem('model', typed.model),
        flag_problem('stream', typed.stream), flag_problem('cold_start', typed.cold_start),
        counts_problem(typed.input_tokens, typed.cached_tokens, typed.output_tokens, typed.ttft_us, typed.duration_us),
        unit_problem('input_audio_ms', typed.input_audio_ms), unit_problem('output_audio_ms', typed.output_audio_ms),
        unit_problem('characters', typed.characters), unit_problem('documents', typed.documents),
        unit_problem('searches', typed.searches),
        time_problem('queue_us', typed.queue_us), time_problem('hold_us', typed.hold_us),
        time_problem('cold_detect_us', typed.cold_detect_us), time_problem('cold_schedule_us', typed.cold_schedule_us),
        time_problem('cold_pull_us', typed.cold_pull_us), time_problem('cold_load_us', typed.cold_load_us),
        time_problem('cold_init_us', typed.cold_init_us), time_problem('cold_first_token_us', typed.cold_first_token_us)
    ) AS reason
FROM typed
JOIN usage_object USING (object_number);
