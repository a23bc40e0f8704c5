-- What differs between the rows that there are and those that must be (rated), and only that, is replaced; then the
-- cost of each row of usage is what its units, tiers and minimums cost.
-- In: rated, rated_span, cost_rated, chunk_hour. Out: rerated (one row per hour, org and deployment).
CREATE OR REPLACE TEMP TABLE tiered_before AS
SELECT cost_rated.* FROM cost_rated JOIN rated_span ON hour >= since AND hour < month_end WHERE unit <> 'minimum';

CREATE OR REPLACE TEMP TABLE rerated AS
SELECT hour, org, deployment FROM ((FROM rated EXCEPT FROM tiered_before) UNION (FROM tiered_before EXCEPT FROM rated))
UNION
SELECT hour, org, deployment FROM cost_rated SEMI JOIN chunk_hour USING (hour);

DELETE FROM cost_rated
WHERE unit <> 'minimum' AND (hour, org, deployment) IN (SELECT (hour, org, deployment) FROM rerated);

INSERT INTO cost_rated SELECT rated.* FROM rated SEMI JOIN rerated USING (hour, org, deployment);

UPDATE usage_hourly
SET cost = priced.cost
FROM (
    SELECT
        hour, org, "user", api_key, deployment, model, price_version, sum(cost)::DECIMAL(38, 12) AS cost
    FROM cost_hourly
    SEMI JOIN rerated USING (hour, org, deployment)
    WHERE hour >= (SELECT min(hour) FROM rerated) AND hour <= (SELECT max(hour) FROM rerated)
    GROUP BY hour, org, "user", api_key, deployment, model, price_version
) AS priced
WHERE usage_hourly.hour = priced.hour AND usage_hourly.org = priced.org AND usage_hourly."user" = priced."user"
    AND usage_hourly.api_key = priced.api_key AND usage_hourly.deployment = priced.deployment
    AND usage_hourly.model = priced.model AND usage_hourly.price_version = priced.price_version;
