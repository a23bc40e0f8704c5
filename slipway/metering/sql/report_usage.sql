-- One row per step of time, organisation, deployment and currency (NULL: no price), of usage in [$start, $end). What is
-- not of the $pairs busiest pairs of organisation and deployment is summed as one, so that totals stay exact.
WITH asked AS (
    SELECT *
    FROM usage_hourly
    WHERE hour >= $start AND hour < $end
        AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
        AND ($orgs::VARCHAR[] IS NULL OR list_contains($orgs::VARCHAR[], org))
),
placed AS (
    SELECT org, deployment, row_number() OVER (ORDER BY sum(requests) DESC, org, deployment) AS place
    FROM asked
    GROUP BY org, deployment
)
SELECT
    date_trunc($step, hour) AS hour,
    CASE WHEN place <= $pairs THEN asked.org ELSE '(others)' END AS org,
    CASE WHEN place <= $pairs THEN asked.deployment ELSE '(others)' END AS deployment,
    currency,
    sum(requests)::BIGINT AS requests, sum(successes)::BIGINT AS successes,
    sum(client_errors + server_errors)::BIGINT AS errors, sum(limited)::BIGINT AS limited,
    sum(cancelled)::BIGINT AS cancelled,
    sum(input_uncached)::BIGINT AS input_uncached, sum(input_cached)::BIGINT AS input_cached,
    sum(output)::BIGINT AS output,
    sum(input_audio_ms + output_audio_ms)::BIGINT AS audio_ms, sum(characters)::BIGINT AS characters,
    sum(documents)::BIGINT AS documents, sum(searches)::BIGINT AS searches,
    sum(cost)::DECIMAL(38, 12) AS cost
FROM asked
JOIN placed ON placed.org = asked.org AND placed.deployment = asked.deployment
GROUP BY ALL
ORDER BY ALL;
