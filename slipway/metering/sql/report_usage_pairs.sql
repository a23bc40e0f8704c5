-- One row: how many pairs of organisation and deployment have usage in [$start, $end).
SELECT count(DISTINCT (org, deployment)) AS pairs
FROM usage_hourly
WHERE hour >= $start AND hour < $end
    AND ($deployments::VARCHAR[] IS NULL OR list_contains($deployments::VARCHAR[], deployment))
    AND ($orgs::VARCHAR[] IS NULL OR list_contains($orgs::VARCHAR[], org));
