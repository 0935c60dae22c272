// Uploads one file as a raw body, so that size and permission are checked before a byte of it is read.
import { csrf } from "../http.js";
import { gettext } from "../gettext.js";

export class NetworkFailure extends Error {}

/** Resolves to the server's JSON with `http`, its status, and `retryAfter`, the seconds to wait; rejects with NetworkFailure. */
export function send(url, file, claim, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", csrf());
    request.setRequestHeader("X-Hilum-Upload", encodeURIComponent(JSON.stringify(claim)));
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 1);
    request.onload = () => (request.response
      ? resolve({ ...request.response, http: request.status, retryAfter: Number(request.getResponseHeader("Retry-After")) || 0 })
      : reject(new NetworkFailure(`HTTP ${request.status}`)));
    request.onerror = request.ontimeout = () => reject(new NetworkFailure(gettext("no connection")));
    request.send(file);
  });
}
