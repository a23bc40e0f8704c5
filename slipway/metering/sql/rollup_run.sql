-- One row per hour of the chunk, hours without objects included.
-- In: chunk_hour, request (deduplicated), copies, metered, unreadable.
-- unpriced: as in check_unpriced, which says it in the words of units.sql.
INSERT INTO rollup_run
WITH counted AS (
    SELECT
        hour, count(*) AS kept, sum(input_tokens)::BIGINT AS input_tokens,
        sum(cached_tokens)::BIGINT AS cached_tokens, sum(output_tokens)::BIGINT AS output_tokens,
        sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
        sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches
    FROM request GROUP BY hour
),
rated AS (
    SELECT
        hour,
        coalesce(sum(requests) FILTER (WHERE deployment <> '' AND is_unpriced), 0)::BIGINT AS unpriced,
        sum(unbilled_input_tokens)::BIGINT AS unbilled_input_tokens,
        sum(unbilled_cached_tokens)::BIGINT AS unbilled_cached_tokens,
        sum(unbilled_output_tokens)::BIGINT AS unbilled_output_tokens,
        sum(unbilled_input_audio_ms)::BIGINT AS unbilled_input_audio_ms,
        sum(unbilled_output_audio_ms)::BIGINT AS unbilled_output_audio_ms,
        sum(unbilled_characters)::BIGINT AS unbilled_characters,
        sum(unbilled_documents)::BIGINT AS unbilled_documents,
        sum(unbilled_searches)::BIGINT AS unbilled_searches
    FROM (
        SELECT
            metered.*,
            used_unpriced(
                price_row IS NOT NULL, input_uncached + input_cached + metered.output,
                input_audio_ms, output_audio_ms, metered.characters, metered.documents, metered.searches,
                price.input_audio, price.output_audio, price.characters, price.documents, price.searches
            ) AS is_unpriced
        FROM metered LEFT JOIN price ON price.rowid = metered.price_row
    )
    GROUP BY hour
),
aside AS (SELECT hour, count(*) AS quarantined FROM unreadable GROUP BY hour)
SELECT
    hour, $run_id, chunk_hour.fingerprint, chunk_hour.objects,
    coalesce(kept, 0) + coalesce(duplicates, 0), coalesce(duplicates, 0), coalesce(conflicts, 0),
    coalesce(unpriced, 0), coalesce(quarantined, 0),
    chunk_hour.final, $now,
    coalesce(input_tokens, 0), coalesce(cached_tokens, 0), coalesce(output_tokens, 0),
    coalesce(unbilled_input_tokens, 0), coalesce(unbilled_cached_tokens, 0), coalesce(unbilled_output_tokens, 0),
    coalesce(input_audio_ms, 0), coalesce(output_audio_ms, 0), coalesce(characters, 0), coalesce(documents, 0), coalesce(searches, 0),
    coalesce(unbilled_input_audio_ms, 0), coalesce(unbilled_output_audio_ms, 0),
    coalesce(unbilled_characters, 0), coalesce(unbilled_documents, 0), coalesce(unbilled_searches, 0)
FROM chunk_hour
LEFT JOIN counted USING (hour)
LEFT JOIN rated USING (hour)
LEFT JOIN copies USING (hour)
LEFT JOIN aside USING (hour);
