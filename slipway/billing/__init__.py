"""Billing: months are closed, invoices made and told, and what changes afterwards becomes adjustments.

Belongs here: pure functions from rows to invoices, what holds a closing up, the tables that copy what is kept
in S3, how an invoice looks, exports, the webhook.
Does not: metering and rating (slipway.metering), the objects in S3 (slipway.records), the steps of a closing
in order (slipway.control.billing).
"""
