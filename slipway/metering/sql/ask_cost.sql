-- One row per step of time (NULL: the whole period), what $per names and currency (NULL: no price was in force), of
-- usage in [$start, $end). Money is exact: DECIMAL, summed as such.
SELECT
    date_trunc($step, hour) AS start,
    CASE WHEN list_contains($per, 'org') THEN org END AS org,
    CASE WHEN list_contains($per, 'user') THEN "user" END AS "user",
    CASE WHEN list_contains($per, 'key') THEN api_key END AS key,
    CASE WHEN list_contains($per, 'deployment') THEN deployment END AS deployment,
    CASE WHEN list_contains($per, 'model') THEN model END AS model,
    sum(requests)::BIGINT AS requests,
    sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
    sum(output)::BIGINT AS output,
    currency,
    sum(cost)::DECIMAL(38, 12) AS cost
FROM usage_hourly
WHERE hour >= $start AND hour < $end
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
    AND ($orgs::VARCHAR[] IS NULL OR list_contains($orgs::VARCHAR[], org))
    AND ($keys::VARCHAR[] IS NULL OR list_contains($keys::VARCHAR[], api_key))
GROUP BY ALL
ORDER BY ALL;
