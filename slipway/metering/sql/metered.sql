-- One row per hour, org, user, API key, deployment, model and price row in force at the request's time.
-- In: request (deduplicated), chunk_hour, price. An org's own price goes before all others, and among those of one org
-- the one of a model before that of all: org and model, org, model, general.
-- Of a request that did not succeed, bill_failed = 'engine-output' bills what the engine did, prompt included, and
-- 'nothing' bills nothing; the rest is counted as unbilled. Events of versions that did not say by what they
-- were counted (counted_by) have a prompt there that no engine need have seen: of those it is the output alone.
-- An hour is cut where a price of the deployment begins or ends, so that each group has one price at any of its
-- instants: groups are joined to prices, not events.
CREATE OR REPLACE TEMP TABLE metered AS
WITH price_edge AS (
    SELECT deployment, hour, edges[1] AS first_edge, edges[2] AS second_edge, edges[3:] AS more_edges
    FROM (
        SELECT deployment, hour, list(DISTINCT edge) AS edges
        FROM (SELECT deployment, unnest([effective_from, effective_to]) AS edge FROM price)
        JOIN chunk_hour ON edge > hour AND edge < hour + INTERVAL 1 HOUR
        GROUP BY deployment, hour
    )
),
grouped AS (
    SELECT
        request.hour, org, "user", api_key, request.deployment, model, status, counted_by,
        coalesce((first_edge <= arrived_at)::INTEGER, 0) + coalesce((second_edge <= arrived_at)::INTEGER, 0)
            + CASE WHEN len(more_edges) > 0 THEN len(list_filter(more_edges, lambda edge: edge <= arrived_at)) ELSE 0 END
            AS part,
        min(arrived_at) AS instant, count(*) AS requests,
        sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
        sum(input_audio_ms) AS input_audio_ms, sum(output_audio_ms) AS output_audio_ms,
        sum(characters) AS characters, sum(documents) AS documents, sum(searches) AS searches,
        max(task) AS task
    FROM request
    LEFT JOIN price_edge ON price_edge.deployment = request.deployment AND price_edge.hour = request.hour
    GROUP BY request.hour, org, "user", api_key, request.deployment, model, status, counted_by, part
),
in_force AS (
    SELECT
        rowid AS price_row, deployment, org, model, bill_failed, effective_from,
        coalesce(effective_to, 'infinity'::TIMESTAMPTZ) AS effective_to
    FROM price
),
general AS (SELECT * FROM in_force WHERE org IS NULL AND model IS NULL),
general_model AS (SELECT * FROM in_force WHERE org IS NULL AND model IS NOT NULL),
own AS (SELECT * FROM in_force WHERE org IS NOT NULL AND model IS NULL),
own_model AS (SELECT * FROM in_force WHERE org IS NOT NULL AND model IS NOT NULL),
priced AS (
    SELECT
        grouped.*,
        coalesce(own_model.price_row, own.price_row, general_model.price_row, general.price_row) AS price_row,
        status = 'success' OR coalesce(
            own_model.bill_failed, own.bill_failed, general_model.bill_failed, general.bill_failed, 'engine-output'
        ) = 'engine-output' AS bill_output,
        status = 'success' OR (bill_output AND counted_by IS NOT NULL) AS bill_input
    FROM grouped
    LEFT JOIN general
        ON general.deployment = grouped.deployment
        AND grouped.instant >= general.effective_from AND grouped.instant < general.effective_to
    LEFT JOIN own
        ON own.deployment = grouped.deployment AND own.org = grouped.org
        AND grouped.instant >= own.effective_from AND grouped.instant < own.effective_to
    LEFT JOIN general_model
        ON general_model.deployment = grouped.deployment AND general_model.model = grouped.model
        AND grouped.instant >= general_model.effective_from AND grouped.instant < general_model.effective_to
    LEFT JOIN own_model
        ON own_model.deployment = grouped.deployment AND own_model.org = grouped.org
        AND own_model.model = grouped.model
        AND grouped.instant >= own_model.effective_from AND grouped.instant < own_model.effective_to
)
SELECT
    hour, org, "user", api_key, deployment, model, price_row,
    sum(requests)::BIGINT AS requests,
    coalesce(sum(requests) FILTER (WHERE status = 'success'), 0)::BIGINT AS successes,
    coalesce(sum(requests) FILTER (WHERE status = 'client_error'), 0)::BIGINT AS client_errors,
    coalesce(sum(requests) FILTER (WHERE status = 'server_error'), 0)::BIGINT AS server_errors,
    coalesce(sum(requests) FILTER (WHERE status = 'limited'), 0)::BIGINT AS limited,
    coalesce(sum(requests) FILTER (WHERE status = 'cancelled'), 0)::BIGINT AS cancelled,
    sum(CASE WHEN bill_input THEN input_tokens - cached_tokens ELSE 0 END)::BIGINT AS input_uncached,
    sum(CASE WHEN bill_input THEN cached_tokens ELSE 0 END)::BIGINT AS input_cached,
    sum(CASE WHEN bill_output THEN output_tokens ELSE 0 END)::BIGINT AS output,
    sum(CASE WHEN bill_input THEN 0 ELSE input_tokens END)::BIGINT AS unbilled_input_tokens,
    sum(CASE WHEN bill_input THEN 0 ELSE cached_tokens END)::BIGINT AS unbilled_cached_tokens,
    sum(CASE WHEN bill_output THEN 0 ELSE output_tokens END)::BIGINT AS unbilled_output_tokens,
    coalesce(sum(requests) FILTER (WHERE counted_by = 'bound'), 0)::BIGINT AS bounded,
    sum(CASE WHEN bill_input THEN input_audio_ms ELSE 0 END)::BIGINT AS input_audio_ms,
    sum(CASE WHEN bill_output THEN output_audio_ms ELSE 0 END)::BIGINT AS output_audio_ms,
    sum(CASE WHEN bill_input THEN characters ELSE 0 END)::BIGINT AS characters,
    sum(CASE WHEN bill_input THEN documents ELSE 0 END)::BIGINT AS documents,
    sum(CASE WHEN bill_input THEN searches ELSE 0 END)::BIGINT AS searches,
    sum(CASE WHEN bill_input THEN 0 ELSE input_audio_ms END)::BIGINT AS unbilled_input_audio_ms,
    sum(CASE WHEN bill_output THEN 0 ELSE output_audio_ms END)::BIGINT AS unbilled_output_audio_ms,
    sum(CASE WHEN bill_input THEN 0 ELSE characters END)::BIGINT AS unbilled_characters,
    sum(CASE WHEN bill_input THEN 0 ELSE documents END)::BIGINT AS unbilled_documents,
    sum(CASE WHEN bill_input THEN 0 ELSE searches END)::BIGINT AS unbilled_searches,
    max(task) AS task
FROM priced
GROUP BY hour, org, "user", api_key, deployment, model, price_row;
