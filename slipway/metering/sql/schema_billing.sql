-- What bills are made of, copied from the objects in S3 that keep it: these tables can be made anew, the objects
-- cannot. Filled by slipway.billing.tables alone. `month` is such as '2026-10'; instants are UTC.

-- One row per closed month. Adjustments up to adjustments_up_to that no earlier month carried are on its invoices.
CREATE TABLE IF NOT EXISTS closed_month (
    month VARCHAR, closed_at TIMESTAMPTZ, run_id VARCHAR, adjustments_up_to BIGINT
);

-- One row per closed month, org, hour, deployment, model, unit, price version, tier and price, as it was at closing.
CREATE TABLE IF NOT EXISTS closed_line (
    month VARCHAR, org VARCHAR, hour TIMESTAMPTZ, deployment VARCHAR, model VARCHAR, unit VARCHAR,
    price_version VARCHAR, tier INTEGER, price_pico BIGINT, currency VARCHAR,
    quantity BIGINT, cost DECIMAL(38, 12)
);

-- One row per adjustment: what to add to a line of a closed month, or to take from it. number: of the object in S3.
CREATE TABLE IF NOT EXISTS usage_adjustment (
    number BIGINT, month VARCHAR, org VARCHAR, hour TIMESTAMPTZ, deployment VARCHAR, model VARCHAR, unit VARCHAR,
    price_version VARCHAR, tier INTEGER, price_pico BIGINT, currency VARCHAR,
    quantity BIGINT, cost DECIMAL(38, 12), reason VARCHAR, run_id VARCHAR, made_at TIMESTAMPTZ
);

-- One row per invoice; amounts in minor units of the currency, of which it has minor_digits decimal places.
CREATE TABLE IF NOT EXISTS invoice (
    invoice VARCHAR, month VARCHAR, org VARCHAR, currency VARCHAR, minor_digits INTEGER, issued_at TIMESTAMPTZ,
    total_minor BIGINT, lines BIGINT
);

-- One row per line of an invoice. Of an adjustment: month and hour that it corrects, reason, run and number.
CREATE TABLE IF NOT EXISTS invoice_line (
    invoice VARCHAR, number BIGINT, kind VARCHAR, deployment VARCHAR, unit VARCHAR, price_version VARCHAR,
    tier INTEGER, price_pico BIGINT, quantity BIGINT, cost DECIMAL(38, 12), amount_minor BIGINT,
    month VARCHAR, hour TIMESTAMPTZ, reason VARCHAR, run_id VARCHAR, adjustment BIGINT
);
