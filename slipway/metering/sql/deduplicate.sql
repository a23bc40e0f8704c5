-- Exactly one row per request_id remains in `request`; `copies` tells what went, per hour.
-- Only ids that occur more than once are ranked. The rank looks at every column that is used later, so that
-- the same copies give the same row whatever their order; the row id only separates equal ones.
-- Copies that differ in what is billed are a conflict; the larger is kept.
CREATE OR REPLACE TEMP TABLE ranked AS
WITH repeated AS (SELECT request_id FROM request GROUP BY request_id HAVING count(*) > 1)
SELECT
    request.rowid AS row_number, hour, request_id,
    [input_tokens, cached_tokens, output_tokens, input_audio_ms, output_audio_ms, characters, documents, searches]::VARCHAR
        || [org, "user", api_key, deployment, model, status]::VARCHAR AS billed,
    row_number() OVER (
        PARTITION BY request_id
        ORDER BY
            input_tokens + output_tokens DESC, output_tokens DESC, cached_tokens,
            input_audio_ms DESC, output_audio_ms DESC, characters DESC, documents DESC, searches DESC,
            status, org, "user", api_key, deployment, model, stream, cold_start,
            ttft_us, duration_us DESC, counted_by, task,
            queue_us, hold_us, cold_detect_us, cold_schedule_us, cold_pull_us, cold_load_us, cold_init_us, cold_first_token_us,
            request.rowid
    ) AS rank
FROM request
SEMI JOIN repeated USING (request_id);

CREATE OR REPLACE TEMP TABLE copies AS
SELECT hour, sum(copies - 1)::BIGINT AS duplicates, count(*) FILTER (WHERE variants > 1) AS conflicts
FROM (
    SELECT hour, request_id, count(*) AS copies, count(DISTINCT billed) AS variants
    FROM ranked
    GROUP BY hour, request_id
)
GROUP BY hour;

DELETE FROM request WHERE rowid IN (SELECT row_number FROM ranked WHERE rank > 1);
