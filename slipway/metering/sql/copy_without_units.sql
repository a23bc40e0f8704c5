-- Of a copy that a version published which knew only tokens: its tables with the columns of units.
CREATE TEMP VIEW usage_hourly AS
SELECT
    *, 0::BIGINT AS input_audio_ms, 0::BIGINT AS output_audio_ms, 0::BIGINT AS characters, 0::BIGINT AS documents,
    0::BIGINT AS searches
FROM published.usage_hourly;

CREATE TEMP VIEW deployment_hourly AS
SELECT
    *, 0::BIGINT AS input_audio_ms, 0::BIGINT AS output_audio_ms, 0::BIGINT AS characters, 0::BIGINT AS documents,
    0::BIGINT AS searches
FROM published.deployment_hourly;

CREATE TEMP VIEW rollup_run AS
SELECT
    *, 0::BIGINT AS input_audio_ms, 0::BIGINT AS output_audio_ms, 0::BIGINT AS characters, 0::BIGINT AS documents,
    0::BIGINT AS searches, 0::BIGINT AS unbilled_input_audio_ms, 0::BIGINT AS unbilled_output_audio_ms,
    0::BIGINT AS unbilled_characters, 0::BIGINT AS unbilled_documents, 0::BIGINT AS unbilled_searches
FROM published.rollup_run;

CREATE TEMP VIEW price AS
SELECT
    *, NULL::BIGINT AS input_audio, NULL::BIGINT AS output_audio, NULL::BIGINT AS characters,
    NULL::BIGINT AS documents, NULL::BIGINT AS searches
FROM published.price;
