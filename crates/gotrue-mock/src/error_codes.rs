//! GoTrue's error codes, with the status and the message that a client usually gets with each.

use axum::http::StatusCode;

/// The codes that GoTrue's endpoints send to a frontend. Most of them are recorded; the others are those of GoTrue's
/// source. A code that comes with several messages has the most frequent one.
#[rustfmt::skip]
const CODES: [(&str, u16, &str); 76] = [
    ("anonymous_provider_disabled", 422, "Anonymous sign-ins are disabled"),
    ("bad_code_verifier", 400, "code challenge does not match previously saved code verifier"),
    ("bad_json", 400, "Could not parse request body as JSON: unexpected end of JSON input"),
    ("bad_jwt", 403, "invalid JWT: unable to parse or verify signature"),
    ("bad_oauth_callback", 400, "OAuth state parameter missing"),
    ("bad_oauth_state", 400, "OAuth state parameter is invalid"),
    ("captcha_failed", 400, "captcha protection: request disallowed (no captcha_token found)"),
    ("conflict", 409, "Too many concurrent token refresh requests on the same session or refresh token"),
    ("current_password_invalid", 400, "Current password required when setting new password."),
    ("current_password_required", 400, "Current password required when setting new password."),
    ("email_address_invalid", 400, "Email address is invalid"),
    ("email_address_not_authorized", 400, "Email address cannot be used as it is not authorized"),
    ("email_address_not_provided", 400, "Email address not provided"),
    ("email_conflict_identity_not_deletable", 422, "Unable to unlink identity due to email conflict"),
    ("email_exists", 422, "A user with this email address has already been registered"),
    ("email_not_confirmed", 400, "Email not confirmed"),
    ("email_provider_disabled", 400, "Email logins are disabled"),
    ("feature_disabled", 404, "This feature is disabled"),
    ("flow_state_already_used", 400, "State has already been used"),
    ("flow_state_expired", 422, "invalid flow state, flow state has expired"),
    ("flow_state_not_found", 404, "invalid flow state, no valid flow state found"),
    ("hook_timeout", 422, "Failed to reach hook within maximum time of 5.000000 seconds"),
    ("hook_timeout_after_retry", 422, "Failed to reach hook after maximum retries"),
    ("identity_already_exists", 422, "Identity is already linked"),
    ("identity_not_found", 422, "Identity doesn't exist"),
    ("insufficient_aal", 401, "AAL2 session is required to update email or password when MFA is enabled."),
    ("invalid_credentials", 400, "Invalid login credentials"),
    ("invite_not_found", 404, "Invite not found"),
    ("manual_linking_disabled", 404, "Manual linking is disabled"),
    ("mfa_challenge_expired", 422, "MFA challenge has expired, verify against another challenge or create a new challenge."),
    ("mfa_factor_name_conflict", 422, "A factor with the friendly name for this user already exists"),
    ("mfa_factor_not_found", 404, "Factor not found"),
    ("mfa_ip_address_mismatch", 422, "Challenge and verify IP addresses mismatch."),
    ("mfa_phone_enroll_not_enabled", 422, "MFA enroll is disabled for Phone"),
    ("mfa_phone_verify_not_enabled", 422, "MFA verification is disabled for Phone"),
    ("mfa_totp_enroll_not_enabled", 422, "MFA enroll is disabled for TOTP"),
    ("mfa_totp_verify_not_enabled", 422, "MFA verification is disabled for TOTP"),
    ("mfa_verification_failed", 422, "Invalid TOTP code entered"),
    ("mfa_verified_factor_exists", 422, "A verified phone factor already exists, unenroll the existing factor to continue"),
    ("mfa_webauthn_enroll_not_enabled", 422, "MFA enroll is disabled for WebAuthn"),
    ("no_authorization", 401, "This endpoint requires a valid Bearer token"),
    ("not_admin", 403, "User not allowed"),
    ("oauth_provider_not_supported", 400, "Provider is not supported"),
    ("otp_disabled", 422, "Signups not allowed for otp"),
    ("otp_expired", 403, "Token has expired or is invalid"),
    ("over_email_send_rate_limit", 429, "email rate limit exceeded"),
    ("over_request_rate_limit", 429, "Request rate limit reached"),
    ("over_sms_send_rate_limit", 429, "SMS rate limit exceeded"),
    ("passkey_disabled", 404, "Passkeys are disabled"),
    ("phone_exists", 422, "A user with this phone number has already been registered"),
    ("phone_not_confirmed", 400, "Phone not confirmed"),
    ("phone_provider_disabled", 400, "Phone logins are disabled"),
    ("provider_disabled", 400, "Provider is not enabled"),
    ("provider_email_needs_verification", 422, "Unverified email. Verify the email in order to sign in"),
    ("reauthentication_needed", 400, "Password update requires reauthentication"),
    ("reauthentication_not_valid", 422, "Nonce has expired or is invalid"),
    ("refresh_token_already_used", 400, "Invalid Refresh Token: Already Used"),
    ("refresh_token_not_found", 400, "Invalid Refresh Token: Refresh Token Not Found"),
    ("request_entity_too_large", 413, "Request body too large (max 1048576 bytes)"),
    ("request_timeout", 504, "Processing this request timed out, please retry after a moment."),
    ("same_password", 422, "New password should be different from the old password."),
    ("saml_provider_disabled", 404, "SAML 2.0 is disabled"),
    ("session_expired", 400, "Invalid Refresh Token: Session Expired"),
    ("session_not_found", 403, "Session from session_id claim in JWT does not exist"),
    ("signup_disabled", 422, "Signups not allowed for this instance"),
    ("single_identity_not_deletable", 422, "User must have at least 1 identity after unlinking"),
    ("sms_send_failed", 422, "Error sending SMS OTP to provider"),
    ("sso_provider_not_found", 404, "No such SSO provider"),
    ("too_many_enrolled_mfa_factors", 422, "Maximum number of enrolled factors reached, unenroll to continue"),
    ("unexpected_failure", 500, "Unexpected failure, please check server logs for more information"),
    ("user_already_exists", 422, "User already registered"),
    ("user_banned", 403, "User is banned"),
    ("user_not_found", 404, "User not found"),
    ("user_sso_managed", 422, "Updating email, phone, password of a SSO account only possible via SSO"),
    ("validation_failed", 400, "Unable to validate email address: invalid format"),
    ("weak_password", 422, "Password should be at least 6 characters."),
];

/// All codes.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    CODES.into_iter().map(|(code, ..)| code)
}

/// The status and the message of a code; `None` if it is not in the list.
pub(crate) fn usual_error(code: &str) -> Option<(StatusCode, &'static str)> {
    let (_, status, message) = CODES.into_iter().find(|(known, ..)| *known == code)?;
    Some((StatusCode::from_u16(status).ok()?, message))
}
