//! Providers that are called as an identity of a cloud, by what goes over the socket: signatures that an
//! independent check makes again, and access tokens of a scripted token server.
