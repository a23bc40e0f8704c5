-- One row per hour, org, user, API key, deployment, model and price row in force at the request's time.
-- In: request (deduplicated), price. An org's own price goes before the general one.
-- Of a request that did not succeed, bill_failed = 'engine-output' bills what the engine did, its prompt
-- included, 'nothing' bills nothing; the rest is counted as unbilled. Events of gateways that did not say by what
-- they counted (counted_by) have the prompts of failures in them, too: of these the output alone is billed.
CREATE OR REPLACE TEMP TABLE metered AS
WITH in_force AS (
    SELECT
        rowid AS price_row, deployment, org, bill_failed, effective_from,
        coalesce(effective_to, 'infinity'::TIMESTAMPTZ) AS effective_to
    FROM price
),
general AS (SELECT * FROM in_force WHERE org IS NULL),
own AS (SELECT * FROM in_force WHERE org IS NOT NULL),
priced AS (
    SELECT
        request.*,
        coalesce(own.price_row, general.price_row) AS price_row,
        status = 'success'
            OR coalesce(own.bill_failed, general.bill_failed, 'engine-output') = 'engine-output' AS bill_output,
        status = 'success' OR (bill_output AND counted_by IS NOT NULL) AS bill_input
    FROM request
    LEFT JOIN general
        ON general.deployment = request.deployment
        AND request.arrived_at >= general.effective_from AND request.arrived_at < general.effective_to
    LEFT JOIN own
        ON own.deployment = request.deployment AND own.org = request.org
        AND request.arrived_at >= own.effective_from AND request.arrived_at < own.effective_to
)
SELECT
    hour, org, "user", api_key, deployment, model, price_row,
    count(*) AS requests,
    count(*) FILTER (WHERE status = 'success') AS successes,
    count(*) FILTER (WHERE status = 'client_error') AS client_errors,
    count(*) FILTER (WHERE status = 'server_error') AS server_errors,
    count(*) FILTER (WHERE status = 'limited') AS limited,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    sum(CASE WHEN bill_input THEN input_tokens - cached_tokens ELSE 0 END)::BIGINT AS input_uncached,
    sum(CASE WHEN bill_input THEN cached_tokens ELSE 0 END)::BIGINT AS input_cached,
    sum(CASE WHEN bill_output THEN output_tokens ELSE 0 END)::BIGINT AS output,
    sum(CASE WHEN bill_input THEN 0 ELSE input_tokens END)::BIGINT AS unbilled_input_tokens,
    sum(CASE WHEN bill_input THEN 0 ELSE cached_tokens END)::BIGINT AS unbilled_cached_tokens,
    sum(CASE WHEN bill_output THEN 0 ELSE output_tokens END)::BIGINT AS unbilled_output_tokens,
    count(*) FILTER (WHERE counted_by = 'bound') AS bounded
FROM priced
GROUP BY hour, org, "user", api_key, deployment, model, price_row;
