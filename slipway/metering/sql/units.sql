-- What has no price: tokens without any price in force, and a kind of use none of whose units has one.
-- What is spoken is priced by its time or its characters, what is ranked by documents or searches: one is enough.
CREATE OR REPLACE TEMP MACRO used_unpriced(
    has_price, tokens, input_audio_ms, output_audio_ms, characters, documents, searches,
    input_audio_price, output_audio_price, characters_price, documents_price, searches_price
) AS CASE
    WHEN has_price THEN
        (input_audio_ms > 0 AND input_audio_price IS NULL)
        OR (output_audio_ms + characters > 0 AND coalesce(output_audio_price, characters_price) IS NULL)
        OR (documents + searches > 0 AND coalesce(documents_price, searches_price) IS NULL)
    ELSE tokens + input_audio_ms + output_audio_ms + characters + documents + searches > 0
END;
