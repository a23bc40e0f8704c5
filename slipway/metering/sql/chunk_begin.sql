-- Temporary tables of one chunk: its objects, and every line of them.
CREATE OR REPLACE TEMP TABLE usage_object (object_number INTEGER, hour TIMESTAMPTZ, key VARCHAR);

CREATE OR REPLACE TEMP TABLE request (
    hour TIMESTAMPTZ, arrived_at TIMESTAMPTZ, request_id UUID,
    org VARCHAR, "user" VARCHAR, api_key VARCHAR, deployment VARCHAR, model VARCHAR,
    status VARCHAR, stream BOOLEAN, cold_start BOOLEAN,
    input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT, ttft_us BIGINT, duration_us BIGINT,
    counted_by VARCHAR,
    object_number INTEGER, line_number INTEGER, reason VARCHAR, excerpt VARCHAR
);

CREATE OR REPLACE TEMP TABLE unreadable (
    hour TIMESTAMPTZ, object VARCHAR, line_number BIGINT, reason VARCHAR, excerpt VARCHAR
);

-- What is wrong with a count, or NULL. 2^53: above it a JSON number is no longer exact.
CREATE OR REPLACE TEMP MACRO count_problem(field, x) AS CASE
    WHEN x IS NULL THEN field || ': missing, or not a number'
    WHEN x < 0 THEN field || ' = ' || x::VARCHAR || ': negative'
    WHEN x > 9007199254740992 THEN field || ' = ' || x::VARCHAR || ': larger than any count'
    WHEN x <> trunc(x) THEN field || ' = ' || x::VARCHAR || ': not a whole number'
END;

CREATE OR REPLACE TEMP MACRO missing(field, x) AS CASE WHEN x IS NULL THEN field || ': missing' END;

-- The hours: what they were made of, whether they are over, and how much of them has passed.
CREATE OR REPLACE TEMP TABLE chunk_hour (
    hour TIMESTAMPTZ, fingerprint VARCHAR, objects BIGINT, final BOOLEAN, elapsed_s DOUBLE
);
