-- One row per step of time (NULL: the whole period) and what $per names, of usage in [$start, $end): billed units.
SELECT
    date_trunc($step, hour) AS start,
    CASE WHEN list_contains($per, 'org') THEN org END AS org,
    CASE WHEN list_contains($per, 'user') THEN "user" END AS "user",
    CASE WHEN list_contains($per, 'key') THEN api_key END AS key,
    CASE WHEN list_contains($per, 'deployment') THEN deployment END AS deployment,
    CASE WHEN list_contains($per, 'model') THEN model END AS model,
    sum(requests)::BIGINT AS requests,
    sum(successes)::BIGINT AS successes, sum(client_errors)::BIGINT AS client_errors,
    sum(server_errors)::BIGINT AS server_errors, sum(limited)::BIGINT AS limited, sum(cancelled)::BIGINT AS cancelled,
    sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
    sum(output)::BIGINT AS output,
    sum(input_audio_ms)::BIGINT AS input_audio_ms, sum(output_audio_ms)::BIGINT AS output_audio_ms,
    sum(characters)::BIGINT AS characters, sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches
FROM usage_hourly
WHERE hour >= $start AND hour < $end
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
    AND ($orgs::VARCHAR[] IS NULL OR list_contains($orgs::VARCHAR[], org))
    AND ($keys::VARCHAR[] IS NULL OR list_contains($keys::VARCHAR[], api_key))
GROUP BY ALL
ORDER BY ALL;
