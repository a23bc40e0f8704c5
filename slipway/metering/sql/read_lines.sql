-- One row per line of a batch of usage objects, countable or not: `reason` says why a line is not.
-- In: batch(object_number, line_number, line), usage_object.
-- from_json and not read_json: lines come with the object's name and number, and one bad line spoils no other.
-- Counts are read as DOUBLE, because a cast of 10.6 to an integer type rounds it without a word.
INSERT INTO request
WITH parsed AS (
    SELECT
        object_number, line_number, line,
        try(from_json(line, '{
            "request_id": "VARCHAR", "ts": "VARCHAR", "org": "VARCHAR", "user": "VARCHAR", "api_key": "VARCHAR",
            "deployment": "VARCHAR", "model": "VARCHAR", "status": "VARCHAR", "stream": "BOOLEAN",
            "cold_start": "BOOLEAN", "input_tokens": "DOUBLE", "cached_tokens": "DOUBLE", "output_tokens": "DOUBLE",
            "ttft_us": "VARCHAR", "duration_us": "DOUBLE", "counted_by": "VARCHAR"
        }')) AS e
    FROM batch
),
typed AS (
    SELECT
        object_number, line_number, line, e IS NULL AS not_json,
        e.request_id AS id_text, try_cast(e.request_id AS UUID) AS request_id,
        try(uuid_extract_timestamp(try_cast(e.request_id AS UUID))) AS arrived_at,
        e.ts AS ts, e.org AS org, e."user" AS "user", e.api_key AS api_key,
        e.deployment AS deployment, e.model AS model, e.status AS status,
        e.stream AS stream, e.cold_start AS cold_start,
        e.input_tokens AS input_tokens, e.cached_tokens AS cached_tokens, e.output_tokens AS output_tokens,
        e.ttft_us AS ttft_text, try_cast(e.ttft_us AS DOUBLE) AS ttft_us, e.duration_us AS duration_us,
        e.counted_by AS counted_by
    FROM parsed
),
judged AS (
    SELECT
        typed.*, usage_object.hour,
        coalesce(
            CASE
                WHEN not_json THEN 'not a line of JSON (half a line?)'
                WHEN arrived_at IS NULL THEN 'request_id = ' || coalesce(id_text, 'NULL') || ': not a UUIDv7'
                WHEN date_trunc('hour', arrived_at) <> usage_object.hour
                    THEN 'request_id = ' || id_text || ': of ' || strftime(arrived_at, '%Y-%m-%dT%H:%M:%SZ') || ', another hour than its object''s'
                WHEN ts IS NULL OR NOT (ends_with(ts, 'Z') OR ends_with(ts, '+00:00')) OR try_cast(ts AS TIMESTAMP) IS NULL
                    THEN 'ts = ' || coalesce(ts, 'NULL') || ': not an instant in UTC'
                WHEN status IS NULL OR status NOT IN ('success', 'client_error', 'server_error', 'limited', 'cancelled')
                    THEN 'status = ' || coalesce(status, 'NULL') || ': unknown'
            END,
            missing('org', org), missing('user', "user"), missing('api_key', api_key),
            missing('deployment', deployment), missing('model', model),
            missing('stream', stream), missing('cold_start', cold_start),
            count_problem('input_tokens', input_tokens),
            count_problem('cached_tokens', cached_tokens),
            count_problem('output_tokens', output_tokens),
            CASE WHEN cached_tokens > input_tokens
                THEN 'cached_tokens = ' || cached_tokens::BIGINT || ': larger than input_tokens = ' || input_tokens::BIGINT END,
            CASE WHEN ttft_text IS NOT NULL THEN count_problem('ttft_us', ttft_us) END,
            count_problem('duration_us', duration_us)
        ) AS reason
    FROM typed
    JOIN usage_object USING (object_number)
)
SELECT
    hour, arrived_at, request_id, org, "user", api_key, deployment,
    -- A model that no deployment serves is any text of a tenant's: all of them are one.
    CASE WHEN deployment = '' THEN '' ELSE model END,
    status, stream, cold_start,
    -- A bad line's counts may not fit; it is taken out by its reason before anything is summed.
    try_cast(input_tokens AS BIGINT), try_cast(cached_tokens AS BIGINT), try_cast(output_tokens AS BIGINT),
    try_cast(ttft_us AS BIGINT), try_cast(duration_us AS BIGINT), counted_by,
    object_number, line_number, reason,
    CASE WHEN reason IS NOT NULL THEN left(line, 512) END
FROM judged;
