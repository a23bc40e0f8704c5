-- One row per bucket, group (a field that is not grouped by is NULL) and currency, of one organization.
-- In: published, key_project, caller (names of users and their ids), bucket (temporary tables). Rows of versions
-- that did not say the task are told apart by what they hold. Requests that reached no model (refused, over a
-- limit) are none. Nothing is rounded.
WITH told AS (
    SELECT
        hour, project, caller.id AS caller, published.api_key, model,
        coalesce(
            nullif(task, ''),
            CASE
                WHEN characters > 0 THEN 'text-to-speech'
                WHEN input_audio_ms > 0 AND input_uncached + input_cached = 0 THEN 'speech-to-text'
                WHEN documents + searches > 0 THEN 'rerank'
                WHEN output = 0 AND input_uncached + input_cached > 0 THEN 'embedding'
                ELSE 'text-generation'
            END
        ) AS task,
        requests - client_errors - limited AS requests,
        input_uncached, input_cached, output,
        input_audio_ms, output_audio_ms, characters, documents, searches,
        cost, currency
    FROM published
    LEFT JOIN key_project USING (api_key)
    LEFT JOIN caller USING ("user")
),
wanted AS (
    SELECT * FROM told
    WHERE ($tasks::VARCHAR[] IS NULL OR task IN (SELECT unnest($tasks::VARCHAR[])))
        AND ($projects::VARCHAR[] IS NULL OR project IN (SELECT unnest($projects::VARCHAR[])))
        AND ($users::VARCHAR[] IS NULL OR caller IN (SELECT unnest($users::VARCHAR[])))
        AND ($api_keys::VARCHAR[] IS NULL OR api_key IN (SELECT unnest($api_keys::VARCHAR[])))
        AND ($models::VARCHAR[] IS NULL OR model IN (SELECT unnest($models::VARCHAR[])))
),
grouped AS (
    SELECT
        bucket.number,
        CASE WHEN $by_project THEN project END AS project_id,
        CASE WHEN $by_user THEN caller END AS user_id,
        CASE WHEN $by_api_key THEN api_key END AS api_key_id,
        CASE WHEN $by_model THEN model END AS model,
        CASE WHEN $by_currency THEN currency END AS currency,
        sum(requests) AS requests,
        sum(input_uncached + input_cached) AS input, sum(input_cached) AS input_cached,
        sum(input_uncached) AS input_uncached, sum(output) AS output,
        coalesce(sum(input_audio_ms), 0) AS input_audio_ms, coalesce(sum(output_audio_ms), 0) AS output_audio_ms,
        coalesce(sum(characters), 0) AS characters,
        coalesce(sum(documents), 0) AS documents, coalesce(sum(searches), 0) AS searches,
        sum(cost) AS cost
    FROM wanted
    JOIN bucket ON hour >= bucket.begins AND hour < bucket.ends
    GROUP BY ALL
)
SELECT * FROM grouped
WHERE CASE
    WHEN $by_currency THEN currency IS NOT NULL
    ELSE requests > 0 OR input + output + input_audio_ms + output_audio_ms + characters + documents + searches > 0
END
ORDER BY ALL
LIMIT $most;
