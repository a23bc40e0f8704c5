-- Temporary tables of one chunk: its objects, and every line of them; and what a line must be.
CREATE OR REPLACE TEMP TABLE usage_object (object_number INTEGER, hour TIMESTAMPTZ, key VARCHAR);

CREATE OR REPLACE TEMP TABLE request (
    hour TIMESTAMPTZ, arrived_at TIMESTAMPTZ, request_id UUID,
    org VARCHAR, "user" VARCHAR, api_key VARCHAR, deployment VARCHAR, model VARCHAR,
    status VARCHAR, stream BOOLEAN, cold_start BOOLEAN, counted_by VARCHAR,
    input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT, ttft_us BIGINT, duration_us BIGINT,
    input_audio_ms BIGINT, output_audio_ms BIGINT, characters BIGINT, documents BIGINT, searches BIGINT,
    task VARCHAR,
    queue_us BIGINT, hold_us BIGINT,
    cold_detect_us BIGINT, cold_schedule_us BIGINT, cold_pull_us BIGINT, cold_load_us BIGINT, cold_init_us BIGINT, cold_first_token_us BIGINT
);

CREATE OR REPLACE TEMP TABLE unreadable (
    hour TIMESTAMPTZ, object VARCHAR, line_number BIGINT, reason VARCHAR, excerpt VARCHAR
);

-- The hours: what they were made of, whether they are over, and how much of them has passed.
CREATE OR REPLACE TEMP TABLE chunk_hour (
    hour TIMESTAMPTZ, fingerprint VARCHAR, objects BIGINT, final BOOLEAN, elapsed_s DOUBLE
);

-- A count is the text x of a JSON value, as it stands in the line, and n what a cast makes of it. The cast alone
-- would take 10.6 for 11.
CREATE OR REPLACE TEMP MACRO is_count(x, n, most) AS n::VARCHAR = x::VARCHAR AND n BETWEEN 0 AND most;

-- What is wrong with a count, or NULL.
CREATE OR REPLACE TEMP MACRO count_problem(field, x, most) AS CASE
    WHEN x IS NULL THEN field || ': missing'
    WHEN NOT regexp_matches(x, '^-?[0-9]') THEN field || ' = ' || left(x, 64) || ': not a number'
    WHEN try_cast(x AS DOUBLE) < 0 THEN field || ' = ' || left(x, 64) || ': negative'
    WHEN try_cast(x AS DOUBLE) IS NULL OR try_cast(x AS DOUBLE) > most
        THEN field || ' = ' || left(x, 64) || ': larger than any count'
    WHEN try_cast(x AS DOUBLE) <> trunc(try_cast(x AS DOUBLE)) THEN field || ' = ' || left(x, 64) || ': not a whole number'
END;

-- A count as a number; only of what has no problem.
CREATE OR REPLACE TEMP MACRO as_count(x) AS try_cast(try_cast(x AS DOUBLE) AS BIGINT);

CREATE OR REPLACE TEMP MACRO flag_problem(field, x) AS CASE
    WHEN x IN ('true', 'false') THEN NULL
    WHEN x IS NULL THEN field || ': missing'
    ELSE field || ' = ' || left(x, 64) || ': neither true nor false'
END;

-- 2^31 tokens, or other units: more than any request has, and few enough that no sum of them leaves 64 bits. 2^53 microseconds:
-- above it a JSON number is no longer exact.
CREATE OR REPLACE TEMP MACRO most_tokens() AS 2147483647;
CREATE OR REPLACE TEMP MACRO most_us() AS 9007199254740992;

-- Whether a line counts: its id and times, then its counts. Texts are judged where they are read.
CREATE OR REPLACE TEMP MACRO identity_problem(hour, request_id, arrived_at, ts, status) AS CASE
    WHEN arrived_at IS NULL THEN 'request_id = ' || coalesce(left(request_id, 64), 'NULL') || ': not a UUIDv7'
    WHEN date_trunc('hour', arrived_at) <> hour
        THEN 'request_id = ' || request_id || ': of ' || strftime(arrived_at, '%Y-%m-%dT%H:%M:%SZ') || ', another hour than its object''s'
    WHEN ts IS NULL OR NOT (ends_with(ts, 'Z') OR ends_with(ts, '+00:00')) OR try_cast(ts AS TIMESTAMP) IS NULL
        THEN 'ts = ' || coalesce(left(ts, 64), 'NULL') || ': not an instant in UTC'
    WHEN status IS NULL OR status NOT IN ('success', 'client_error', 'server_error', 'limited', 'cancelled')
        THEN 'status = ' || coalesce(left(status, 64), 'NULL') || ': unknown'
END;

CREATE OR REPLACE TEMP MACRO counts_problem(input_tokens, cached_tokens, output_tokens, ttft_us, duration_us) AS coalesce(
    count_problem('input_tokens', input_tokens, most_tokens()),
    count_problem('cached_tokens', cached_tokens, most_tokens()),
    count_problem('output_tokens', output_tokens, most_tokens()),
    CASE WHEN as_count(cached_tokens) > as_count(input_tokens)
        THEN 'cached_tokens = ' || cached_tokens || ': larger than input_tokens = ' || input_tokens END,
    CASE WHEN ttft_us IS NOT NULL THEN count_problem('ttft_us', ttft_us, most_us()) END,
    count_problem('duration_us', duration_us, most_us())
);

-- Units are absent from the lines of versions before them, and where a request used none.
CREATE OR REPLACE TEMP MACRO unit_problem(field, x) AS
    CASE WHEN x IS NOT NULL THEN count_problem(field, x, most_tokens()) END;
CREATE OR REPLACE TEMP MACRO as_units(x) AS coalesce(as_count(x), 0);
CREATE OR REPLACE TEMP MACRO is_units(x, n) AS x IS NULL OR is_count(x, n, most_tokens());

-- Times that few requests have: what they waited for.
CREATE OR REPLACE TEMP MACRO time_problem(field, x) AS
    CASE WHEN x IS NOT NULL THEN count_problem(field, x, most_us()) END;
CREATE OR REPLACE TEMP MACRO is_time(x, n) AS x IS NULL OR is_count(x, n, most_us());

-- A task that the catalog knows. One that it does not tells nothing, and is no reason to leave a line out.
CREATE OR REPLACE TEMP MACRO known_task(x) AS CASE WHEN x IN (
    'text-generation', 'embedding', 'rerank', 'classification', 'speech-to-text', 'text-to-speech'
) THEN x END;

-- Whether a text, read as VARCHAR, cannot have been a number, a flag or a structure in the line. Most begin with a
-- small letter, which two comparisons tell.
CREATE OR REPLACE TEMP MACRO is_plain(x) AS (x >= 'a' AND x < '{' AND x <> 'true' AND x <> 'false') OR (
    x NOT IN ('true', 'false') AND NOT starts_with(x, '[') AND NOT starts_with(x, '{')
    AND (x > ':' OR x = '' OR try_cast(x AS DOUBLE) IS NULL)
);

-- What is wrong with a text, given as it stands in the line, or NULL.
CREATE OR REPLACE TEMP MACRO text_problem(field, x) AS CASE
    WHEN x IS NULL THEN field || ': missing'
    WHEN NOT starts_with(x, '"') THEN field || ' = ' || left(x, 64) || ': not a text'
END;
