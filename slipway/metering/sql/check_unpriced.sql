-- One row per deployment and org with tokens in the asked hours for which no price was in force. What names no
-- deployment (a model that is not there) or used no tokens could not cost anything.
SELECT
    deployment, org, sum(requests)::BIGINT AS requests,
    sum(input_uncached + input_cached)::BIGINT AS input_tokens, sum(output)::BIGINT AS output_tokens,
    min(hour) AS first_hour
FROM usage_hourly
WHERE price_version IS NULL AND deployment <> ''
    AND input_uncached + input_cached + output > 0
    AND hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
GROUP BY deployment, org
ORDER BY deployment, org;
