// Passwords as a function server keeps them: Argon2id with 19 MiB, two passes and one lane, as OWASP asks for.
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as PasswordError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use extism_pdk::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, FromBytes)]
#[encoding(Json)]
struct HashRequest {
    password: String,
}

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct HashAnswer {
    hash: String,
}

#[derive(Deserialize, FromBytes)]
#[encoding(Json)]
struct VerifyRequest {
    password: String,
    hash: String,
}

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct VerifyAnswer {
    valid: bool,
}

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

fn reason(error: impl std::fmt::Display) -> Error {
    Error::msg(error.to_string())
}

/// `{"password"}` → `{"hash"}`, a PHC string with a salt of its own.
#[plugin_fn]
pub fn hash(request: HashRequest) -> FnResult<HashAnswer> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(reason)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(request.password.as_bytes()).map_err(reason)?;
    Ok(HashAnswer { hash: hash.to_string() })
}

/// `{"password", "hash"}` → `{"valid"}`; an error only for a hash that is none.
#[plugin_fn]
pub fn verify(request: VerifyRequest) -> FnResult<VerifyAnswer> {
    let hash = PasswordHash::new(&request.hash).map_err(reason)?;
    match Argon2::default().verify_password(request.password.as_bytes(), &hash) {
        Ok(()) => Ok(VerifyAnswer { valid: true }),
        Err(PasswordError::PasswordInvalid) => Ok(VerifyAnswer { valid: false }),
        Err(error) => Err(reason(error).into()),
    }
}
