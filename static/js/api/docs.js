// The API's description, drawn by Swagger UI from our own server; no request goes anywhere else.
const place = document.getElementById("api");

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  docExpansion: "list",
  displayRequestDuration: true,
  persistAuthorization: false,
  supportedSubmitMethods: ["get", "post", "patch", "delete"],
  validatorUrl: null,
  // The reader's session is no credential here: only the token typed into Authorize is sent.
  requestInterceptor: (request) => Object.assign(request, { credentials: request.loadSpec ? "same-origin" : "omit" }),
});
