-- One row per hour since $since that was rated at other prices than those of now, with the deployments that it is of.
-- An hour that a version before this table rated is not in it, and taken for right.
SELECT hour, list(DISTINCT deployment ORDER BY deployment) AS deployments
FROM hour_prices AS rated
JOIN ({now}) AS now USING (hour, deployment)
WHERE rated.fingerprint <> now.fingerprint
GROUP BY hour
ORDER BY hour;
